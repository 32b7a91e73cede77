@echo off
rem SPDX-License-Identifier: GPL-3.0-or-later
rem ComfyUI-Spacetime's command line for Windows: sets up on first use, then hands over to host\cli.py.
setlocal EnableExtensions
set "root=%~dp0"
set "python=%COMFYUI_PYTHON%"
set "comfyui=%COMFYUI%"
if "%comfyui%"=="" for %%P in ("%root%..") do if /i "%%~nxP"=="custom_nodes" if exist "%root%..\..\main.py" set "comfyui=%root%..\.."
if "%comfyui%"=="" goto own
if not exist "%comfyui%\main.py" (
    echo spacetime: COMFYUI=%comfyui% is not a ComfyUI folder: it holds no main.py>&2
    exit /b 1
)
for %%P in ("%comfyui%\.venv\Scripts\python.exe" "%comfyui%\venv\Scripts\python.exe" "%comfyui%\..\python_embeded\python.exe" "%comfyui%\python_embeded\python.exe") do (
    if not defined python if exist "%%~P" set "python=%%~P"
)
if not defined python set "python=python"
goto run

:own
set "python=%root%.venv\Scripts\python.exe"
if exist "%python%" goto run
set "base=python"
where py >nul 2>nul && set "base=py -3"
if not "%SPACETIME_PYTHON%"=="" set "base=%SPACETIME_PYTHON%"
if "%~1"=="doctor" (
    %base% -P "%root%host\entry.py" host.doctor
    exit /b
)
%base% -P "%root%host\entry.py" host.setup || exit /b 1

:run
"%python%" -P "%root%host\entry.py" host %*
exit /b %errorlevel%
