"""Register one image onto another and verify it by keypoints."""
