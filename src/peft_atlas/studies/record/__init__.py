"""What the field has measured since: published runs, one by one, and what they say."""
