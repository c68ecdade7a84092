"""What vectors are made of: plans of files, a bitstream writer, a reference reconstruction."""
