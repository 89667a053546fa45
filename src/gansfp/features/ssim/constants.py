"""The constants of structural similarity, for greys from 0 to 255."""

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""(K1 L)^2 and (K2 L)^2, which keep its two quotients finite."""
