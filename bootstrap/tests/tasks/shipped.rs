//! The task files in userdata/tasks.
