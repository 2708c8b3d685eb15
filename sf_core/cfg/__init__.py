"""What was asked: the command line, configuration files and saved runs become one checked `Config`."""
