"""Pages and tables made from run directories alone: one page shell, one palette, no network."""
