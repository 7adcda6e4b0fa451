"""Mutations: how much of what could be broken the tests notice."""
