"""The engine's ports over the ORM: the only place where async code meets the database."""
