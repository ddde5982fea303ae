"""lm-eval's own result files: read into a run record, and written from one."""
