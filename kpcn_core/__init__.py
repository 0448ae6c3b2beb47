"""kpcn: an open kernel-predicting denoiser for film rendering (Vogels et al. 2018)."""

__version__ = "0.1.0"
