"""One LightningModule for every loss, the data it reads, and the stages in which it is trained."""
