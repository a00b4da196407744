"""cocotb benches of generated designs, and the runner that builds and starts them."""
