"""What a receiver does with semantics: heads, selection, editing, learning under compression."""
