"""The guided path: from nothing to a finished demo by pressing Next."""
