"""Decisions: logged so that they can be made again, versioned so that they can be taken back."""
