"""posetrack: who is in a video, where each joint is, and which person is which through time."""
