"""One file per wire: reading requests into Ask, rendering Answer into bodies and frames."""
