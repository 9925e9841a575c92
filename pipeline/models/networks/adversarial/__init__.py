"""Networks that learn against a discriminator; the discriminators themselves are with training, which alone needs them."""
