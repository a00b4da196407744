"""The contract between the stages: ops.json, libraries, golden integer arithmetic, errors."""
