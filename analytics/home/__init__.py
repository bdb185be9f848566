"""The first page of the console: what to set up, what needs somebody now, how it goes. A file for each part."""
