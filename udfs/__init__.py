"""What semantic functions mean (functions/), who answers (models/), and how they are asked (prompts/)."""
