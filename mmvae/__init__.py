"""Mixture-of-experts variational autoencoders for several modalities (Shi et al. 2019) and their baselines."""
