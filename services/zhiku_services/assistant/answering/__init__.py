"""From a question and passages to cited sentences. Everything but `pipeline` is pure."""
