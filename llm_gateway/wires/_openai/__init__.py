"""What the two OpenAI formats have in common; not a format of its own (the registry skips the
underscore)."""
