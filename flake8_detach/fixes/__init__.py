"""What a finding offers to change in the text, and how it is applied."""
