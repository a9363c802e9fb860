"""What is asked of one product -> its rows, through the port that serves them best."""
