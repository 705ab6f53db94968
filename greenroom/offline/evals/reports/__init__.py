"""What came of an evaluation, for people and programs: terminal, HTML, JSON, JUnit, Markdown."""
