"""What an attacker tried: each hole that was found, and what held."""
