"""What kind of noise it is: autocorrelation, advice, variance against signal."""
