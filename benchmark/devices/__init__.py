"""How far scores move from one kind of processor, one set of kernels, one number of threads to the next."""
