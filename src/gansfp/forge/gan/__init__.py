"""A FastGAN-class generative adversarial network."""
