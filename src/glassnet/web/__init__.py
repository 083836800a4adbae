"""The playground: watch networks learn, draw for them, and walk through their steps, in a browser.

``messages`` bounds what may be asked, ``racer`` trains one configuration, ``worker`` all of a session, in a process
of its own, ``session`` talks to that process and starts it again if it is lost, ``app`` is nothing but routes.
"""
