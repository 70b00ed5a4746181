"""What each publisher answers: routes for the replay server, from recorded shapes and real files."""
