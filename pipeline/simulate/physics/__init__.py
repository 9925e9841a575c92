"""Light on its way: sun, air, cloud shadows, the sensor's optics and noise."""
