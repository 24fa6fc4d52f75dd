"""What people work on: deliveries kept, episodes, incidents, their timeline and their runs."""
