"""Attribution by the patches of each subset that an image can be laid out of."""
