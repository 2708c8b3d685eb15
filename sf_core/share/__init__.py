"""What leaves the house: policies as one file that needs nothing of sf_core, and runs on the Hugging Face hub."""
