"""What is computed from aligned pairs: phrases, lexicons; and bilingual dictionaries."""
