"""What providers refuse beyond plain types: broken tool turns, loose strict schemas, fields of a foreign wire."""
