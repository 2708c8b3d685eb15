"""What turns observations into actions: encoder, core, decoder, heads, distributions, normalisers, the policy."""
