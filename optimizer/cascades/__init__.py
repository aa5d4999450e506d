"""What a sample proves of answers that a proxy gives in the reference's place; pure."""
