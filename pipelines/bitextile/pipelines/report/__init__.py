"""What the report page is made of: figures, examples, drawings as geometry, and the templates."""
