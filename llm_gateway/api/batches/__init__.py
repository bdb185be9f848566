"""Lines of batches through the same code as live requests."""
