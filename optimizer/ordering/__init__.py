"""In which order predicates are asked. Pure: nothing here asks a model, reads a clock or knows a plan."""
