"""Numbers drawn as PyTorch's CPU generator draws them."""
