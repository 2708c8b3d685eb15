"""What the parallel engine is made of: processes, what they say to each other, who starts and watches them."""
