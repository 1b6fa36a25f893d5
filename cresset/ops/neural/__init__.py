"""What networks are made of: the functions of `nn.functional`."""
