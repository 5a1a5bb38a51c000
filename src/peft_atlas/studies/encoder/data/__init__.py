"""The texts and the pretrained model of the encoder study."""
