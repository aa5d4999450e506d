"""What a query means: plan nodes and ways to walk and print them."""
