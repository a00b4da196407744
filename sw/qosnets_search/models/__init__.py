"""Float networks as plain PyTorch modules that ``torch.fx`` can trace."""
