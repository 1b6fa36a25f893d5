"""Kernels: schedules that turn a description of work into LLVM IR, one file per kind of work."""
